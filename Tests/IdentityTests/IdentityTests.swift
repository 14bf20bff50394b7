// Tests of Identity.
