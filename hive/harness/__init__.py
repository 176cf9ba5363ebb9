"""What runs in a container whose agent brought nothing of its own: it reads, notes and answers."""
