"""The claims that Framehaul makes, one test each. Folders mirror the packages."""
