package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

const requestLimit = 5 * time.Second

func (c cluster) client() (*kubernetes.Clientset, error) {
	config, err := clientcmd.BuildConfigFromFlags("", c.kubeconfig("admin"))
	if err != nil {
		return nil, err
	}
	config.Timeout = requestLimit
	config.WarningHandler = rest.NoWarnings{}
	return kubernetes.NewForConfig(config)
}

func (c cluster) etcdReady() error { return healthy(c.etcd() + "/health") }

func (c cluster) apiServerReady() error {
	client, err := c.client()
	if err != nil {
		return err
	}
	answer, err := client.Discovery().RESTClient().Get().AbsPath("/readyz").DoRaw(context.Background())
	if err != nil {
		return fmt.Errorf("%w %s", err, answer)
	}
	return nil
}

// controllerManagerReady also asks for the default service account: /healthz answers before any controller has worked.
func (c cluster) controllerManagerReady() error {
	if err := healthy(fmt.Sprintf("https://127.0.0.1:%d/healthz", c.ports.ControllerManager)); err != nil {
		return err
	}
	client, err := c.client()
	if err != nil {
		return err
	}
	_, err = client.CoreV1().ServiceAccounts("default").Get(context.Background(), "default", metav1.GetOptions{})
	return err
}

func (c cluster) schedulerReady() error {
	return healthy(fmt.Sprintf("https://127.0.0.1:%d/healthz", c.ports.Scheduler))
}

// publishIssuer lets anybody read the keys that ServiceAccount tokens are signed with, as managed clusters do: the
// simulator verifies federated tokens against them and has no credentials for the cluster.
func (c cluster) publishIssuer() error {
	client, err := c.client()
	if err != nil {
		return err
	}
	const role = "system:service-account-issuer-discovery"
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "lockstep-dev:service-account-issuer-discovery"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.GroupKind, Name: "system:unauthenticated"}},
	}
	_, err = client.RbacV1().ClusterRoleBindings().Create(context.Background(), binding, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}

// healthy asks a component on loopback; its serving certificate is one that it signed itself.
func healthy(url string) error {
	client := http.Client{
		Timeout:   requestLimit,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true},
	}
	answer, err := client.Get(url)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return errors.New(url + ": " + answer.Status)
	}
	return nil
}
