"""Steps as weighted sums. test_exactness compares them with each scheduler in whole drawings."""

import pytest
import torch

from generator.engine.samplers import is_deterministic, make_scheduler
from generator.engine.sampling import LinearSampling, Sampling, make_sampling
from generator.models.cards import SAMPLERS

SDXL = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}
STEPS = 7


def sampling_of(sampler: str, **config: object) -> Sampling:
    noise = torch.Generator().manual_seed(1)
    return make_sampling(sampler, {**SDXL, **config}, steps=STEPS, device=torch.device("cpu"), noise=noise)


def noise(seed: int) -> torch.Tensor:
    return torch.randn(1, 4, 5, 3, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_the_sums_equal_the_schedulers_own_steps(sampler):
    sampling = sampling_of(sampler)
    scheduler = make_scheduler(sampler, SDXL)
    scheduler.set_timesteps(STEPS)
    random = torch.Generator().manual_seed(1)
    more = {"generator": random} if sampling._options else {}
    latents, expected = sampling.start(noise(0), None), noise(0) * scheduler.init_noise_sigma

    for step in range(sampling.steps):
        at = scheduler.timesteps[step]
        assert sampling.timestep(step).tolist() == [float(at)]
        given = scheduler.scale_model_input(expected, at)
        torch.testing.assert_close(sampling.model_input(latents, step), given, atol=1e-4, rtol=1e-4)
        # A prediction that depends on its input, like a UNet's.
        predicted = (given + noise(step + 1)).tanh()
        latents = sampling.step(predicted, latents, step)
        expected = scheduler.step(predicted, at, expected, return_dict=False, **more)[0]
        torch.testing.assert_close(latents, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("sampler", [sampler for sampler in SAMPLERS if is_deterministic(sampler)])
def test_a_repeated_step_gives_the_same_result(sampler):
    """A step is repeated when memory runs out after the scheduler's part of it."""
    once, again = sampling_of(sampler), sampling_of(sampler)
    latents, others = once.start(noise(0), None), again.start(noise(0), None)
    for step in range(once.steps):
        predicted = noise(step + 1)
        again.step(predicted, others, step)
        latents, others = once.step(predicted, latents, step), again.step(predicted, others, step)
        assert torch.equal(latents, others)


@pytest.mark.parametrize("sampler", [sampler for sampler in SAMPLERS if is_deterministic(sampler)])
def test_when_drawing_from_an_image_the_scheduler_stays_on_the_processor(sampler):
    """``meta`` stands in for a card: its tensors cannot be combined with the processor's."""
    card, random = torch.device("meta"), torch.Generator().manual_seed(1)
    sampling = make_sampling(sampler, SDXL, steps=STEPS, device=card, noise=random)
    sampling.begin_at(2 * sampling.scheduler.order)
    latents = sampling.start(noise(0), noise(1))
    kept = [value for value in vars(sampling.scheduler).values() if isinstance(value, torch.Tensor)]
    assert kept and {value.device.type for value in kept} == {"cpu"}
    assert latents.device == card


def test_a_preview_ignores_predictions_that_are_not_made_yet():
    """The memory for later predictions may hold anything."""
    sampling = sampling_of("unipc")
    latents = sampling.start(noise(0), None)
    sampling._known[1:] = torch.nan
    for step in range(3):
        latents = sampling.step(noise(step + 1), latents, step)
        assert sampling.clean(latents).isfinite().all()
    assert latents.isfinite().all()


def test_only_linear_samplers_become_sums():
    assert isinstance(sampling_of("unipc"), LinearSampling)
    assert not isinstance(sampling_of("euler_a"), LinearSampling), "this sampler adds its own noise"
    assert not isinstance(sampling_of("unipc", thresholding=True), LinearSampling), "thresholding depends on the values"
