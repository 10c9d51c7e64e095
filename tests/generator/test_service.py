"""A job from its submission to its picture, over a real UNIX socket."""

import io

from PIL import Image


async def test_a_job_becomes_a_picture(generator):
    answer = await generator.submit("job-1", seed=7)
    assert (answer.status, answer.json["state"], answer.json["position"]) == (201, "queued", 1)

    events = [event async for event in generator.events("job-1")]
    assert events[0]["event"] == "state"
    assert [event["step"] for event in events if event["event"] == "progress"] == sorted(
        event["step"] for event in events if event["event"] == "progress"
    )
    assert events[-2]["event"] == "picture" or events[-1]["event"] == "done"
    assert events[-1]["job"]["state"] == "done"
    picture = events[-1]["job"]["pictures"][0]

    png = await generator.call("GET", "/v1/jobs/job-1/pictures/0")
    assert len(png.body) == picture["size"]
    with Image.open(io.BytesIO(png.body)) as image:
        assert image.size == (picture["width"], picture["height"])
    thumbnail = await generator.call("GET", "/v1/jobs/job-1/pictures/0/thumbnail")
    assert len(thumbnail.body) == picture["thumbnail_size"]
    recipe = await generator.call("GET", "/v1/jobs/job-1/pictures/0/recipe")
    assert recipe.body.decode().startswith("prompt: otter\n")
