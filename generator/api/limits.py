"""Every limit on a client's request, with its reason. The limits of one model are on its model card."""

# Nine recipes of the greatest length have 216,000 characters; JSON takes twelve bytes for an emoji, but nobody writes
# in emoji only.
MAX_REQUEST_BYTES = 512 * 1024

# Twice the longest recipe within the other limits.
MAX_RECIPE_CHARS = 64 * 1024

# One job draws at most one sheet, whose cells are picked with the reactions 1 to 9.
MAX_RECIPES_PER_JOB = 9

# Twice the longest prompt seen in the wild; what exceeds the model's tokens is left out, with a note.
MAX_PROMPT_CHARS = 2000

# Beyond a few levels brackets are a typing mistake, and parsing costs grow with them.
MAX_NESTING = 8

# compel has the text encoder read the whole prompt once more for each part whose weight is below 1: up to four chunks
# of 75 tokens each time, all before the first step.
MAX_WEAKENED = 20

# compel accepts any weight; beyond 2 the embeddings leave what the model has seen, and pictures break.
MIN_WEIGHT, MAX_WEIGHT = 0.0, 2.0

# The largest integer that JSON readers, Matrix included, keep exact.
MAX_SEED = 2**53 - 1

# A copy of a picture is asked for with as many bytes as a homeserver takes, and none takes fewer. Even noise fits.
MIN_FITTING_BYTES = 64 * 1024

# The theme is a folder's name.
MAX_THEME_CHARS = 64

# Longer than the two lines above a picture of a sheet; the sheet cuts off the rest.
MAX_HEADING_CHARS = 200

# A note may repeat a fact of an earlier drawing: a card's name, a version.
MAX_FACT_CHARS = 200

# Keeps about half of the picture, as in diffusers' image to image.
DEFAULT_STRENGTH = 0.6

MAX_ID_CHARS = 64
MAX_REQUESTER_CHARS = 255
