package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

const (
	kubeletConfig = "/etc/kubernetes/kubelet.conf"
	cniConfig     = "/etc/cni/net.d/10-node.conflist"
	// how often something that cannot be watched is asked for again: while the
	// cluster waits for it, and afterwards
	retry       = 100 * time.Millisecond
	retryOthers = 2 * time.Second
)

// node is what the pod network has to know of a node.
type node struct{ pods, address string }

// newPodNetworkCommand is the pod network, without a daemon set or an image of
// its own: as soon as the control plane has given this node its range of pod
// addresses it writes the CNI configuration, which is what the kubelet waits for
// to call the node ready. Then it keeps a route to every other node's range.
func newPodNetworkCommand() *cobra.Command {
	return &cobra.Command{
		Use:          "node-pod-network",
		SilenceUsage: true,
		RunE:         func(*cobra.Command, []string) error { return podNetwork(context.Background()) },
	}
}

func podNetwork(ctx context.Context) error {
	me, err := os.Hostname()
	if err != nil {
		return err
	}
	// kubeadm writes it, on a worker only after its certificate was signed
	for {
		if info, err := os.Stat(kubeletConfig); err == nil && info.Size() > 0 {
			break
		}
		time.Sleep(retry)
	}
	config, err := clientcmd.BuildConfigFromFlags("", kubeletConfig)
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	// a kubelet may see its own node at once, and all of them when kind has applied
	// default-cni.yaml (which a cluster of one node can do without)
	known := map[string]node{}
	follow(ctx, client, "metadata.name="+me, retry, known, func() bool { return known[me].pods != "" })
	if err := apply(me, known); err != nil {
		return err
	}
	// an error ends it, and systemd has it begin again
	follow(ctx, client, "", retryOthers, known, func() bool {
		err = apply(me, known)
		return err != nil
	})
	return err
}

// follow keeps known up to date, calling changed after each change, until that
// returns true.
func follow(ctx context.Context, client kubernetes.Interface, fields string, retry time.Duration, known map[string]node, changed func() bool) {
	options := metav1.ListOptions{FieldSelector: fields}
	for {
		list, err := client.CoreV1().Nodes().List(ctx, options)
		if err != nil {
			time.Sleep(retry)
			continue
		}
		now := map[string]node{}
		for _, item := range list.Items {
			now[item.Name] = read(&item)
		}
		if !maps.Equal(known, now) {
			clear(known)
			maps.Copy(known, now)
			if changed() {
				return
			}
		}
		watchOptions := options
		watchOptions.ResourceVersion = list.ResourceVersion
		watcher, err := client.CoreV1().Nodes().Watch(ctx, watchOptions)
		if err != nil {
			time.Sleep(retry)
			continue
		}
		for event := range watcher.ResultChan() {
			item, ok := event.Object.(*v1.Node)
			if !ok {
				break // an error: list again
			}
			before := maps.Clone(known)
			if event.Type == watch.Deleted {
				delete(known, item.Name)
			} else {
				known[item.Name] = read(item)
			}
			if !maps.Equal(before, known) && changed() {
				watcher.Stop()
				return
			}
		}
		watcher.Stop()
		time.Sleep(retry)
	}
}

func read(item *v1.Node) node {
	n := node{pods: item.Spec.PodCIDR}
	for _, address := range item.Status.Addresses {
		if address.Type == v1.NodeInternalIP {
			n.address = address.Address
			break
		}
	}
	return n
}

func apply(me string, known map[string]node) error {
	own := known[me].pods
	if own == "" {
		return nil
	}
	// what leaves the pod ranges takes the node's address; between pods nothing changes
	rules := []string{"*nat", ":NODE-MASQ - [0:0]"}
	for _, name := range slices.Sorted(maps.Keys(known)) {
		other := known[name]
		if other.pods == "" {
			continue
		}
		rules = append(rules, "-A NODE-MASQ -d "+other.pods+" -j RETURN")
		if name != me && other.address != "" {
			if err := run("", "ip", "route", "replace", other.pods, "via", other.address); err != nil {
				return err
			}
		}
	}
	rules = append(rules, "-A NODE-MASQ -j MASQUERADE")
	jump := []string{"POSTROUTING", "-s", own, "-j", "NODE-MASQ"}
	if run("", "iptables", append([]string{"-w", "-t", "nat", "-C"}, jump...)...) != nil {
		rules = append(rules, "-A "+strings.Join(jump, " "))
	}
	rules = append(rules, "COMMIT", "")
	if err := run(strings.Join(rules, "\n"), "iptables-restore", "-w", "--noflush"); err != nil {
		return err
	}
	if err := writeCNI(own); err != nil {
		return err
	}
	fmt.Printf("pod network: %s, %d node(s)\n", own, len(known))
	return nil
}

func writeCNI(own string) error {
	mtu := "1500"
	if text, err := os.ReadFile("/sys/class/net/eth0/mtu"); err == nil {
		mtu = strings.TrimSpace(string(text))
	}
	want := fmt.Sprintf(`{
  "cniVersion": "0.4.0",
  "name": "node",
  "plugins": [
    {
      "type": "ptp",
      "mtu": %s,
      "ipam": {
        "type": "host-local",
        "dataDir": "/run/node-cni",
        "ranges": [[{"subnet": "%s"}]],
        "routes": [{"dst": "0.0.0.0/0"}]
      }
    },
    {"type": "portmap", "capabilities": {"portMappings": true}}
  ]
}
`, mtu, own)
	if have, err := os.ReadFile(cniConfig); err == nil && string(have) == want {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(cniConfig), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(cniConfig+".new", []byte(want), 0o644); err != nil {
		return err
	}
	return os.Rename(cniConfig+".new", cniConfig)
}

func run(input, name string, args ...string) error {
	command := exec.Command(name, args...)
	command.Stdin = strings.NewReader(input)
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, out)
	}
	return nil
}
