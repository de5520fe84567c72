"""One for each server: hold, stand in, hand back."""
