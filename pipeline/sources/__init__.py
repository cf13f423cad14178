"""Where images come from: one file per kind of source, all answering the same questions."""
