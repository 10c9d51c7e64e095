"""fp16 or fp32 is chosen by the card's capability, below 7.0 by trying, and the log says why."""

import logging

import pytest
import torch

from generator.engine.precision import computed_on, measured_on

FIGURES = {
    torch.float16: {"matrix product": 0.010, "convolution": 0.002, "attention": 0.030},
    torch.float32: {"matrix product": 0.020, "convolution": 0.003, "attention": 0.010},
}


@pytest.mark.parametrize("capability", [(7, 0), (7, 5), (8, 6), (12, 0)])
def test_cards_with_fast_fp16_are_not_measured(capability):
    def measure():
        raise AssertionError("measured")

    assert computed_on(capability, measure) is torch.float16


def test_older_cards_compute_in_what_is_faster_for_all_of_a_unet(caplog):
    """One matrix product alone would have chosen fp16."""
    with caplog.at_level(logging.INFO):
        assert computed_on((6, 1), lambda: FIGURES) is torch.float32
    assert caplog.messages == [
        "computing in float32: the card has compute capability 6.1; matrix product 10.0 ms in fp16, 20.0 ms in fp32; "
        "convolution 2.0 ms in fp16, 3.0 ms in fp32; attention 30.0 ms in fp16, 10.0 ms in fp32"
    ]


def test_both_are_measured_with_a_product_a_convolution_and_attention():
    figures = measured_on(torch.device("cpu"), side=64, rounds=1)
    assert figures.keys() == FIGURES.keys()
    for dtype, seconds in figures.items():
        assert seconds.keys() == FIGURES[dtype].keys()
        assert all(figure > 0 for figure in seconds.values())
