"""The device: where a model is measured, and the agent that travels there. Start with `session`."""
