"""What gpu_check.py is made of: wheels, steps, codecs, questions, and what they settle."""
