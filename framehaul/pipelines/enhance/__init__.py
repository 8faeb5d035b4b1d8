"""Make a video larger with a network; later also smoother."""
