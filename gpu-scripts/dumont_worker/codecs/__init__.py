"""How chunks become smaller, and back."""
