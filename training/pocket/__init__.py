"""Pocket: a miniature SDXL that this project trains itself, on cartoon animals that this package draws.

``render`` draws one scene, ``captions`` puts it into words, ``train`` makes the shipped weights of both,
and ``evaluate`` judges what the weights draw. The service needs none of it: it loads ``weights/`` like any other model.
"""
