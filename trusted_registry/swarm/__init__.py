"""The registry on several machines: a stack of Docker Swarm, with the images in a bucket."""
