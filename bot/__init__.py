from .easel import EaselBot as EaselBot
