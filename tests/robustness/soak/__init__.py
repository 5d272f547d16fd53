"""Long use: models shared by threads and processes give what one thread gives, and memory stays as it is."""
