// What Go's own `plugin` package takes to open a shared object and to look a symbol up in it, in a
// process that has not opened it before. Prints JSON: microseconds.
package main

import (
	"encoding/json"
	"os"
	"plugin"
	"time"
)

func main() {
	began := time.Now()
	opened, err := plugin.Open(os.Args[1])
	open := time.Since(began)
	if err != nil {
		panic(err)
	}
	began = time.Now()
	symbol, err := opened.Lookup("Run")
	lookup := time.Since(began)
	if err != nil {
		panic(err)
	}
	if symbol.(func(string) string)("a") != "A" {
		panic("the plugin does not work")
	}
	result := map[string]float64{"open": microseconds(open), "lookup": microseconds(lookup)}
	if err := json.NewEncoder(os.Stdout).Encode(result); err != nil {
		panic(err)
	}
}

func microseconds(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }
