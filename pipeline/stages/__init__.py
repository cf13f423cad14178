"""One file per stage: `run(inputs, settings, out) -> metrics`, thin glue over models, export and deploy."""
