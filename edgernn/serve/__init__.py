"""What listens for others: audio comes over the network, detections go back."""
