"""When things happen: the flow of stages, the recipe, the store, the data and the one training loop."""
