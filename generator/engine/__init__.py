"""The engine draws: models, prompts as embeddings, the denoising loop. Knows neither jobs nor sockets."""
