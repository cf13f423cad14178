"""The agent: Python 3.8+, standard library, numpy and the board's own runtime; nothing else of ours."""
