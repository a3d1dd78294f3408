"""The page of `edgernn stream --web`: what it looks like, and who may see it."""
