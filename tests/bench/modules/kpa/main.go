// Knative's autoscaler (KPA) on a clock of our own: one line of JSON in for each second, the number
// of pods that it wants out.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"go.uber.org/zap"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"knative.dev/serving/pkg/apis/autoscaling/v1alpha1"
	"knative.dev/serving/pkg/autoscaler/metrics"
	"knative.dev/serving/pkg/autoscaler/scaling"
)

// Knative's defaults (config-autoscaler); the target alone is ours to choose.
const (
	maxScaleUpRate   = 1000
	maxScaleDownRate = 2
	panicShare       = 10 // the panic window is a tenth of the stable one
	panicThreshold   = 2
	tickSeconds      = 2
)

type setting struct {
	Target        float64 `json:"target"`
	StableSeconds int     `json:"stableSeconds"`
}

type second struct {
	Second      int      `json:"second"`
	Ready       int      `json:"ready"`
	Concurrency *float64 `json:"concurrency"` // absent: the pods could not be read
}

// pods counts those that are ready, as the endpoints of a revision would.
type pods struct{ ready int }

func (p *pods) ReadyCount() (int, error)    { return p.ready, nil }
func (p *pods) NotReadyCount() (int, error) { return 0, nil }

type replica struct {
	key       types.NamespacedName
	collector *metrics.MetricCollector
	pods      *pods
	decider   scaling.UniScaler
	base      time.Time
	log       *zap.SugaredLogger
	wants     int
}

func newReplica(s setting) (*replica, error) {
	r := &replica{
		key:  types.NamespacedName{Namespace: "bench", Name: "trace"},
		pods: &pods{},
		log:  zap.NewNop().Sugar(),
		// The decider looks at the real clock once, when it is made.
		base: time.Now().Truncate(time.Second).Add(time.Second),
	}
	// Without a scraper nothing comes in but what we record.
	r.collector = metrics.NewMetricCollector(
		func(*v1alpha1.Metric, *zap.SugaredLogger) (metrics.StatsScraper, error) { return nil, nil }, r.log)
	window := time.Duration(s.StableSeconds) * time.Second
	err := r.collector.CreateOrUpdate(&v1alpha1.Metric{
		ObjectMeta: metav1.ObjectMeta{Namespace: r.key.Namespace, Name: r.key.Name},
		Spec:       v1alpha1.MetricSpec{StableWindow: window, PanicWindow: window / panicShare, ScrapeTarget: "trace"},
	})
	r.decider = scaling.New(context.Background(), r.key.Namespace, r.key.Name, r.collector, r.pods, &scaling.DeciderSpec{
		ScalingMetric:    "concurrency",
		MaxScaleUpRate:   maxScaleUpRate,
		MaxScaleDownRate: maxScaleDownRate,
		TargetValue:      s.Target,
		TotalValue:       s.Target,
		PanicThreshold:   panicThreshold,
		StableWindow:     window,
		Reachable:        true,
	})
	return r, err
}

func (r *replica) take(s second) int {
	now := r.base.Add(time.Duration(s.Second) * time.Second)
	r.pods.ready = s.Ready
	if s.Concurrency != nil {
		r.collector.Record(r.key, now, metrics.Stat{PodName: "all", AverageConcurrentRequests: *s.Concurrency})
	}
	if s.Second%tickSeconds == 0 {
		if result := r.decider.Scale(r.log, now); result.ScaleValid {
			r.wants = int(result.DesiredPodCount)
		}
	}
	return r.wants
}

func run() error {
	lines := bufio.NewScanner(os.Stdin)
	if !lines.Scan() {
		return fmt.Errorf("the first line must hold the settings")
	}
	var s setting
	if err := json.Unmarshal(lines.Bytes(), &s); err != nil {
		return err
	}
	r, err := newReplica(s)
	if err != nil {
		return err
	}
	for lines.Scan() {
		var next second
		if err := json.Unmarshal(lines.Bytes(), &next); err != nil {
			return err
		}
		if _, err := fmt.Println(r.take(next)); err != nil {
			return err
		}
	}
	return lines.Err()
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
