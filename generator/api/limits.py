"""Every limit on what a client may ask, with its reason. Limits of one model stand on its card."""

# Nine recipes that are each as long as they may be are 216,000 characters; JSON takes twelve bytes for an emoji, but
# nobody writes in emoji only.
MAX_REQUEST_BYTES = 512 * 1024

# Twice as long as any recipe that fits its other limits.
MAX_RECIPE_CHARS = 64 * 1024

# One job draws at most one sheet, whose cells are picked with the reactions 1 to 9.
MAX_RECIPES_PER_JOB = 9

# Twice the longest prompt seen in the wild; what exceeds the model's tokens is left out, with a note.
MAX_PROMPT_CHARS = 2000

# Beyond a few levels brackets are a typing mistake, and parsing costs grow with them.
MAX_NESTING = 8

# compel accepts any weight; beyond 2 the embeddings leave what the model has seen, and pictures break.
MIN_WEIGHT, MAX_WEIGHT = 0.0, 2.0

# The largest integer that JSON readers, Matrix included, keep exact.
MAX_SEED = 2**53 - 1

# The theme is a folder's name.
MAX_THEME_CHARS = 64

# Two lines above a picture of a sheet; what is longer is cut there.
MAX_HEADING_CHARS = 200

# A fact of an earlier drawing may be told again, in a note: a card's name, a version.
MAX_FACT_CHARS = 200

# As diffusers' image to image: half of the picture is kept, about.
DEFAULT_STRENGTH = 0.6

MAX_ID_CHARS = 64
MAX_REQUESTER_CHARS = 255
