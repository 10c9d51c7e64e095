"""Triton kernels for what lies between a UNet's products and convolutions, and their places in diffusers' models.

Imports Triton, which only an NVIDIA card needs; whoever may have none imports this late.
"""
