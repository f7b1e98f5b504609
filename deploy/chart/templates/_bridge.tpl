{{/* The bridge's container and its volume: beside the operator, or in a Deployment of its own. */}}
{{- define "cerebro.bridge" -}}
- name: bridge
  {{- include "cerebro.image" . | nindent 2 }}
  args: [bridge]
  env:
  - name: BIND_HOST
    value: 0.0.0.0
  {{- if eq .Values.bridge.store.kind "redis" }}
  - name: RELAY_STORE
    value: redis
  {{- end }}
  envFrom:
  # RELAY_TOKEN, RELAY_API_SECRET and the other secrets of the bridge, by the names of docs/settings.md.
  - secretRef:
      name: {{ quote .Values.bridge.secretName }}
  - configMapRef:
      name: cerebro-bridge
      optional: true
  ports:
  - name: http
    containerPort: 3001
  startupProbe:
    httpGet:
      path: /health/live
      port: http
    periodSeconds: 2
    failureThreshold: 60
  livenessProbe:
    httpGet:
      path: /health/live
      port: http
    periodSeconds: 10
    timeoutSeconds: 5
  readinessProbe:
    httpGet:
      path: /health/ready
      port: http
    periodSeconds: 5
    timeoutSeconds: 5
  lifecycle:
    preStop:
      # Calls still come until the Service's endpoints are known everywhere to be one less.
      sleep:
        seconds: 5
  resources:
    {{- toYaml .Values.bridge.resources | nindent 4 }}
  securityContext:
    {{- include "cerebro.restrictedContainer" . | nindent 4 }}
  volumeMounts:
  - name: data
    mountPath: /var/lib/cerebro/data
{{- end }}

{{- define "cerebro.bridgeVolume" -}}
- name: data
  {{- if eq .Values.bridge.store.kind "volume" }}
  persistentVolumeClaim:
    claimName: cerebro-data
  {{- else }}
  emptyDir: {}
  {{- end }}
{{- end }}
