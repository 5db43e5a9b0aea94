"""nvCOMP on the GPU, in processes of its own; what it gives is believed only when decoded again."""
