"""Training data from nothing: what espeak-ng says, with a voice for every split."""
