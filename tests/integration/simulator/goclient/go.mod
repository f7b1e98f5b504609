module goclient

go 1.22

require github.com/go-routeros/routeros/v3 v3.0.1
