"""What is computed: networks and their cost, the graph losses, folding and fake quantization."""
