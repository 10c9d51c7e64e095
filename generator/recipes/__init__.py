"""From a request to a full recipe, and to the YAML file that draws it again. Never imports torch."""
