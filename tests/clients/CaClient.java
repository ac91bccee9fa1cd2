// Asks once, and believes one file of roots alone: java CaClient.java FILE URL
import java.io.FileInputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

public class CaClient {
    public static void main(String[] args) throws Exception {
        var store = KeyStore.getInstance(KeyStore.getDefaultType());
        store.load(null, null);
        int n = 0;
        for (var c : CertificateFactory.getInstance("X.509")
                 .generateCertificates(new FileInputStream(args[0]))) {
            store.setCertificateEntry("root" + n++, c);
        }
        var trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trust.init(store);
        var context = SSLContext.getInstance("TLS");
        context.init(null, trust.getTrustManagers(), null);
        var client = HttpClient.newBuilder().sslContext(context)
            .version(HttpClient.Version.HTTP_1_1).build();
        try {
            var answer = client.send(HttpRequest.newBuilder(URI.create(args[1])).build(),
                                     HttpResponse.BodyHandlers.discarding());
            System.out.println("status " + answer.statusCode());
        } catch (java.io.IOException e) {
            System.out.println("failed: " + e);
            System.exit(1);
        }
    }
}
