"""The processes of one run: what they tell each other, and what they tell the person."""
