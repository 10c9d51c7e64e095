from .plugin import Neighbour as Neighbour
