"""Easel's maubot plugin: knows people, rooms and prompts. It never draws and never imports torch."""

from .plugin import EaselBot as EaselBot
