export PATH=/nix/store/whdqxdjah4w2v4cp8n2isn4p9yqr74wl-board-profile-1.4/bin
