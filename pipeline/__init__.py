"""When things happen: flow, recipe, store, data and the one training loop. Read `flow` first."""
