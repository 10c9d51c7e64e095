"""Triton kernels for the operations between a UNet's products and convolutions, and their places in diffusers' models.

Imports Triton, which needs an NVIDIA card: import this package only after finding one, not at the top of a module.
"""
