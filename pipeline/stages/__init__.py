"""One file per stage: `run(inputs, settings, out) -> metrics`, glue over models, export, deploy."""
