def greeting() -> str:
    return "The neighbour says hello."
