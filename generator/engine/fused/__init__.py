"""Triton kernels for what lies between a UNet's products and convolutions, and their places in diffusers' models.

Imports Triton, which is there only with an NVIDIA card: import this where one is found, not at the top of a module.
"""
