"""What comes in and goes out: COCO, Clarifai, and the containers they travel in."""
