// Load for one server, from one core: closed-loop, or open-loop at a fixed rate.
//
// Open-loop requests have a time at which they are due, whatever became of those before them, and
// latency counts from that time: a server that stalls is charged for every request that it kept
// waiting (no coordinated omission). One thread spins over epoll, so that neither a sleep's grain
// nor a scheduler of goroutines is measured.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

type report struct {
	Rate    float64 `json:"rate"`    // answers a second
	Offered float64 `json:"offered"` // requests a second that were due; 0 when closed-loop
	P50     float64 `json:"p50"`     // microseconds
	P99     float64 `json:"p99"`
	P999    float64 `json:"p999"`
	Max     float64 `json:"max"`
	Answers int     `json:"answers"`
	Errors  int     `json:"errors"`  // answers that were no success
	Waiting int     `json:"waiting"` // requests that were sent, or due, and had no answer at the end
}

func main() {
	address := flag.String("address", "", "host:port")
	path := flag.String("path", "/", "path of the request")
	protocol := flag.String("protocol", "http", "http or grpc")
	body := flag.String("body", "", "body of every request")
	contexts := flag.Int("contexts", 16, "how many contexts the requests name in turn; 0 = none")
	traced := flag.Bool("traced", false, "whether each request has a traceparent of its own (http)")
	connections := flag.Int("connections", 32, "connections")
	streams := flag.Int("streams", 1, "requests under way on each connection (grpc)")
	seconds := flag.Float64("seconds", 2, "duration")
	rate := flag.Float64("rate", 0, "requests a second; 0 = as many as are answered")
	flag.Parse()
	runtime.GOMAXPROCS(1)
	runtime.LockOSThread()
	debug.SetGCPercent(-1)

	var client client
	switch *protocol {
	case "http":
		client = newHTTP1(*address, *path, *body, *contexts, *connections, *traced)
	case "grpc":
		client = newHTTP2(*address, *path, *body, *connections, *streams)
	default:
		fail("-protocol must be http or grpc, not %q", *protocol)
	}
	result := run(client, time.Duration(*seconds*float64(time.Second)), *rate)
	if err := json.NewEncoder(os.Stdout).Encode(result); err != nil {
		fail("%v", err)
	}
}

func summary(latencies []time.Duration, took time.Duration) report {
	slices.Sort(latencies)
	at := func(q float64) float64 {
		if len(latencies) == 0 {
			return 0
		}
		return float64(latencies[int(q*float64(len(latencies)-1))].Nanoseconds()) / 1e3
	}
	return report{
		Rate: float64(len(latencies)) / took.Seconds(), Answers: len(latencies),
		P50: at(.5), P99: at(.99), P999: at(.999), Max: at(1),
	}
}

func fail(format string, arguments ...any) {
	fmt.Fprintf(os.Stderr, "load: "+strings.TrimSuffix(format, "\n")+"\n", arguments...)
	os.Exit(1)
}
