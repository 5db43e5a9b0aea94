"""The half of dumont that runs on the box: reads a workspace into a store and writes it back."""
