"""Why a server cannot be used: asked after a failure only, answered with the cause and what to change."""
