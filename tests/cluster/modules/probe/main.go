// What the tests of the cluster run in pods: a server, and a client that says what it got.
package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

const usage = "usage: probe serve ADDRESS [FILE] | probe get URL"

// serve answers every request with the content of a file, or with the pod's name.
func serve(address string, files []string) error {
	return http.ListenAndServe(address, http.HandlerFunc(func(answer http.ResponseWriter, _ *http.Request) {
		if len(files) == 0 {
			name, _ := os.Hostname()
			fmt.Fprintln(answer, name)
			return
		}
		content, err := os.ReadFile(files[0])
		if err != nil {
			http.Error(answer, err.Error(), http.StatusInternalServerError)
			return
		}
		answer.Write(content)
	}))
}

// get prints what a URL answers.
func get(url string) error {
	client := http.Client{Timeout: 2 * time.Second}
	answer, err := client.Get(url)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, answer.Status)
	}
	_, err = io.Copy(os.Stdout, answer.Body)
	return err
}

func run(arguments []string) error {
	switch {
	case len(arguments) >= 2 && arguments[0] == "serve":
		return serve(arguments[1], arguments[2:])
	case len(arguments) == 2 && arguments[0] == "get":
		return get(arguments[1])
	}
	return errors.New(usage)
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
