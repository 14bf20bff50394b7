// Tests of ChatCore.
