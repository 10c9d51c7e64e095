"""Easel's maubot plugin: knows people, rooms and words. It never draws and never imports torch."""

from .plugin import EaselBot as EaselBot
