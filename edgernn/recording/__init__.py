"""Recording one's own clips: found, judged, trimmed and kept."""
