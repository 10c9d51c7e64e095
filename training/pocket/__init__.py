"""Pocket: a miniature SDXL that this project trains itself, on cartoon animals that this package draws.

``render`` draws one scene, ``captions`` describes it in words, ``train`` makes the shipped weights from both, and
``evaluate`` judges what the weights draw. The service needs none of it: it loads the weights like any other model's.
"""
